"""The programs that are measured, each run as a process: ``python -m loops.NAME SETTING.json``, which ends with a line of JSON."""
