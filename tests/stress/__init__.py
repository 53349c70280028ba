"""Proof under stress: the real process, asked as nobody should ask it.

Each kind of stress is a room that does so much of it as it is told to, checks what must hold, and
returns figures. The tests here do a little of each; `python -m tests.stress` does much, and prints.
"""
