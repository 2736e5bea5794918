"""The application behind ABCI 2.0: what a CometBFT validator asks over its socket."""
