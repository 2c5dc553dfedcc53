"""Messages to arrays and back, parameters, QoS and images: what the nodes share."""
