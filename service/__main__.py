"""`python -m service`: the HTTP service and the processes beside it."""

from service.processes.launcher import main

if __name__ == "__main__":
    main()
