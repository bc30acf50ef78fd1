"""A run made by the command shows in the UI of a server that is started later on the same database."""

import sqlite3


def test_run_in_process_is_in_the_database_that_a_server_would_show(demo, user_home):
    assert demo.exit_code == 0
    with sqlite3.connect(f"file:{user_home / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as database:
        runs = database.execute("SELECT name, state_type FROM flow_run WHERE name LIKE 'digits %'").fetchall()
        keys = {key for (key,) in database.execute("SELECT key FROM artifact")}
    assert "COMPLETED" in {state for _, state in runs}
    assert runs[0][0].startswith("digits 20")
    assert {"clean-labels-queue", "clean-labels-steps", "clean-labels-summary"} <= keys
