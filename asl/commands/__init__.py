"""One command a file: a click object named `COMMAND`, loaded when it is asked for."""
