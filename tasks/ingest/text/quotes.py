"""Whether quotes keep the fields of a file together, or are part of its text, as in the TSV files of GLUE."""

import re

from tasks.ingest.source import Part
from tasks.ingest.text.lines import lines_in_blocks, open_text


def are_quotes_text(part: Part, delimiter: str) -> bool:
    """Return whether fields begin with quotes that nothing closes, while each line has all fields of a row.

    Read as quotes, they would make one row of all lines up to the next of them. A field that goes on behind a line's end, or
    has a delimiter in it, leaves lines with another number of delimiters. Between commas quotes always keep fields together.
    """
    if delimiter in ",;":
        return False
    mark = delimiter.encode()
    field = rb'(?:^|[\n%b])"[^"\r\n%b]*%b[\r\n%b]'
    opened, closed = (
        re.compile(field % (*[re.escape(mark)] * 2, end, re.escape(mark))) for end in (b"", b'"')
    )
    per_line: set[int] = set()
    opens = closes = 0
    with open_text(part) as file:
        for block in lines_in_blocks(file):
            if b'"' not in block:
                continue
            per_line |= {line.count(mark) for line in block.splitlines() if line}
            if len(per_line) > 1:
                return False
            opens += len(opened.findall(block + b"\n"))
            closes += len(closed.findall(block + b"\n"))
    return opens > closes
