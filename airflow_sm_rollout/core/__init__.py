"""What a rollout is and what it does next: pure, with no AWS, no Airflow and no clock (../tests/test_architecture.py holds that)."""
