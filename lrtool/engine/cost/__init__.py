"""What training costs on this machine: amounts, work of a forward pass, measurements that are remembered."""
