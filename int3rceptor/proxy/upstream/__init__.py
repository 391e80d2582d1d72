"""The origin's side: dialling, pooling, speaking to origins."""
