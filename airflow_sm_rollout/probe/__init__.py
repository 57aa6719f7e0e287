"""What could only be assumed of AWS, asked of a real account: ``sm-rollout probe``.

Each fact has a small function that finds out, and the answer that the sandbox gives. It needs neither the sandbox nor Airflow.
"""
