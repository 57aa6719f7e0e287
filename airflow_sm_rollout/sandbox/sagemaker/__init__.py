"""SageMaker: hosting and training."""
