"""Parameters from signatures and hydrographs: free parameters, trials, and ways to choose the next one."""
