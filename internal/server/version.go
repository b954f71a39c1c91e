package server

// MLflowVersion is the release of MLflow whose behaviour the API follows; clients choose what they send by it.
const MLflowVersion = "3.17.2"
