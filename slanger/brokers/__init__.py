"""What ties a node to its peers: one room per way to do it, all behind `slanger.interfaces.IBroker`."""
