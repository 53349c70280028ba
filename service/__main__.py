"""`python -m service` is `interlinea`."""

from service.cli import app

if __name__ == "__main__":
    app(prog_name="interlinea")
