"""What a project may use of a minute, a day and a month: windows, budgets, and the gate where they are paid."""
