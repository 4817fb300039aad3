"""`python -m service`: the HTTP service and the processes beside it."""

from service.processes.workers import head_start

if __name__ == "__main__":
    waiting = head_start.start_ahead()
    from service.processes.workers import launcher  # which takes a while to import

    launcher.main(waiting)
