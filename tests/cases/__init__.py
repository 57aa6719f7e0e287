"""Cases as others have met them, one file each. The tests beside them walk the kinds that they stand for.

Three are whole runs of a DAG and stand where such runs are: a person who marks a run or ``promote`` a success in
``operators/test_whose_word_counts.py``, ``depends_on_past`` in ``operators/test_arguments.py``.
"""
