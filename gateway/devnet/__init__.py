"""Development networks on this machine: ledgers, organisations, and the processes they run in."""
