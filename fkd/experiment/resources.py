"""What the training of one member takes of a machine."""

from pydantic import Field

from fkd.experiment.settings import Settings


class Resources(Settings):
    """A member's share of a machine, wherever it is trained.

    cpus: cores, and threads of TensorFlow; None for all that the machine has, divided among the members that
    train side by side. With another number, results on a CPU differ in their last bits.
    gpus: share of one GPU on a Ray cluster that has any; 0 trains on the CPU there.
    """

    cpus: int | None = Field(None, ge=1, le=1024)
    gpus: float = Field(1.0, ge=0, le=1)
