"""Commands of `manivideo` that combine several packages: demo, render, doctor, nodes."""
