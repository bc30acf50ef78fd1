"""`make serve` is safe by default: who may talk to its server, and which pages may."""

import stat

from flows.platform.stack import keep_password, secure


def test_server_of_this_machine_alone_asks_for_no_password_and_lets_no_other_page_in(tmp_path):
    settings = {"PREFECT_HOME": str(tmp_path), "LABELSWEEP_PORT": "4300"}
    assert secure(settings) == []
    assert "PREFECT_SERVER_API_AUTH_STRING" not in settings
    allowed = settings["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
    assert allowed == "http://127.0.0.1:4300,http://localhost:4300"


def test_server_that_others_reach_asks_for_a_password_that_its_owner_alone_can_read(tmp_path):
    settings = {"PREFECT_HOME": str(tmp_path), "LABELSWEEP_HOST": "10.0.0.7"}
    (note,) = secure(settings)
    file = keep_password(settings)
    assert str(file) in note
    assert settings["PREFECT_SERVER_API_AUTH_STRING"] not in note
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert settings["PREFECT_API_AUTH_STRING"] == settings["PREFECT_SERVER_API_AUTH_STRING"]
    assert settings["PREFECT_UI_API_URL"] == "http://10.0.0.7:4200/api"
    again = {"PREFECT_HOME": str(tmp_path), "LABELSWEEP_HOST": "10.0.0.7"}
    secure(again)
    assert again["PREFECT_API_AUTH_STRING"] == settings["PREFECT_API_AUTH_STRING"]
    chosen = {"LABELSWEEP_HOST": "192.168.1.4", "PREFECT_SERVER_API_AUTH_STRING": "me:word"}
    assert secure(chosen) == []
    assert chosen["PREFECT_API_AUTH_STRING"] == "me:word"
