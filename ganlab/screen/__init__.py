"""What people see while a run goes on: the terminal and the notebook."""
