"""What tests share: scripted peers, origins, certificates, tools. Typed."""
