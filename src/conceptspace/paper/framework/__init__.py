"""What every figure of the paper shares: runs, claims, ledgers, and what is kept of them."""
