"""The switch: everything needed is here and proven, the intent is durable, then names are exchanged."""
