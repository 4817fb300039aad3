"""What `make dashboard` prints while its pages start."""

from monitoring.dashboard import processes


def test_a_page_that_does_not_answer_yet_is_named(monkeypatch, capsys):
    monkeypatch.setattr(processes, "PROGRESS_SECONDS", 0.0)
    processes.make_page_announcer({"mlflow": "http://127.0.0.1:9"})()
    assert "Still waiting for mlflow, after 0 seconds" in capsys.readouterr().out
