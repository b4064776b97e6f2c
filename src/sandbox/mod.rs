//! A throwaway cluster: a real control plane on this machine.
