"""Jobs of the `manivideo` command that combine several rooms: demo, render, doctor."""
