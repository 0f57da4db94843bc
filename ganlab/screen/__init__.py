"""What people see of runs: output in the terminal and in notebooks."""
