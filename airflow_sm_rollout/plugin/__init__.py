"""What Airflow's UI shows of rollouts: a tab on the DAG run, and a page over all of them.

Nothing is imported by Airflow's workers and DAG processor but :mod:`.rollouts`, which names the views; the pages are made of
:mod:`.app` (routes), :mod:`.reads` (Airflow's database), :mod:`.live` (AWS, if it can be reached), :mod:`.chart` and templates.
"""
