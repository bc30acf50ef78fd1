"""What a report may do in a browser: show its own pictures and styles, and run one script, this one; nothing is loaded or sent.

The page states it itself. Who serves a report states it again, since a run folder may come from anywhere.
"""

import base64
import hashlib
from pathlib import Path
from typing import Final

SCRIPT: Final = (Path(__file__).parent / "report.js").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'"
)
SERVED_POLICY: Final = f"{POLICY}; frame-ancestors 'none'"
