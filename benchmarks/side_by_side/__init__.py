"""Rollouts beside what people use without this project, on the same traffic, in the sandbox, on a clock that stands still.

    python -m benchmarks.side_by_side [--bake 180] [--runs 1] [--arms ours,stock] [--greens healthy]

An endpoint of ten instances is called 600 times a minute. Green is made bad in the ways below, and each arm rolls it out by 10, 50, 100 %:

* *by hand, sample alarms*: a DAG as people write it: two variants, weights, and a wait at each share that looks at AWS's sample alarms of
  a variant (any 5XX in a minute; mean latency) every 30 s;
* *by hand, rate alarms*: the same with alarms on 1 % of errors in two minutes of two;
* *guardrails, stock*: SageMaker's canary of 10 % with the same sample alarms;
* *variants*, *guardrails*, *endpoints*: this project with its defaults, its tasks driven as Airflow drives them, looked at every 30 s.

What is printed of each: the requests that green harmed, in percent of those that all at once would have harmed in half an hour; the
seconds from the first of them to the last; and of a harmless green the rollout's seconds, and its calls of AWS's control plane.
"""
