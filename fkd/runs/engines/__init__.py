"""Where members are trained.

engine     the choice: in this process, in several, or on a Ray cluster
processes  members side by side in processes of this machine
ray_tasks  members as tasks of a Ray cluster
relay      what a worker tells, on its way to who shows it
"""
