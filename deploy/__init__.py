"""What is needed to run the service in containers: configurations, notices and their checks."""
