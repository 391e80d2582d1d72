"""The whole proxy, as a process, between real clients and real origins."""
