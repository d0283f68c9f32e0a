"""The public ledger: what NIF published, and when, as a chain that cannot be changed unnoticed."""
