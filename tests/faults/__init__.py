"""Every way a task can end, and every way that what it needs can fail: `make faults`, or pytest.

`endings.py`, `outages.py` and their neighbours hold the cases, `fault_environment.py` what they run on. Workers
and triggerers are processes forked from this one that run the real operator and the real trigger, so that one
can be killed at any step without paying for Airflow's imports.
"""
