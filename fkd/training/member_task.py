"""What one member learns from and is judged by."""

from dataclasses import dataclass

from fkd.data.faces import Faces
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import MemberFolder
from fkd.experiment.training import Training
from fkd.training.augment import Batches


@dataclass(frozen=True)
class MemberTask:
    """One member to be trained.

    experiment: as this member is trained. validation: the specialist's rows that judge it. start: the
    finished member whose weights it begins with; None for one that begins anew.
    """

    experiment: Experiment
    member: MemberId
    batches: Batches
    validation: Faces
    start: MemberFolder | None = None

    @property
    def name(self) -> str:
        """`<specialist>/<index>`, as in the store."""
        return self.member.name

    @property
    def specialist(self) -> str:
        """The specialist that the member belongs to."""
        return self.member.specialist

    @property
    def kind(self) -> tuple[str, Training]:
        """What members have in common that can be trained in the same networks."""
        return self.specialist, self.experiment.training

    @property
    def seed(self) -> tuple[int, ...]:
        """What the member's weights and batches are a function of."""
        return self.experiment.member_seed(*self.member)
