"""One operator per verb of a rollout."""

import airflow

from airflow_sm_rollout.airflow_versions import require_supported

require_supported(airflow.__version__)
