"""What a development network consists of: the file ``network.json`` in its folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from adapters.fabric.devnet.lifecycle import ChaincodeDefinition
from adapters.fabric.devnet.policy import parse_policy

FILE = "network.json"
_ADDRESS = r"127\.0\.0\.1:[0-9]{1,5}"


class ConfigurationInvalid(ValueError):
    """``network.json`` is missing or wrong; the message names the file and the key."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganisationConfiguration(_Model):
    """One organisation with one peer."""

    msp_id: str = Field(pattern=r"^[A-Za-z0-9-]+$", description="For example OrgAMSP.")
    gateway: str = Field(pattern=_ADDRESS, description="Where its peer's Gateway listens.")
    cut_off: bool = Field(
        default=False,
        description="Its peer gets no block that is made while the network runs, to show what a "
        "gateway does whose peer has lost the orderers.",
    )


class ChaincodeConfiguration(_Model):
    """One chaincode of the channel, with one process per organisation."""

    name: str = Field(pattern=r"^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$")
    version: str = "1"
    sequence: int = Field(default=1, ge=1, description="Raise it to commit a new definition.")
    policy: str = Field(description="For example OutOf(2,'OrgAMSP.peer','OrgBMSP.peer').")
    addresses: dict[str, str] = Field(description="MSP id to the address of its process.")
    timeout: float = Field(default=30.0, gt=0, description="Seconds that one call may take.")

    @field_validator("policy")
    @classmethod
    def _readable(cls, policy: str) -> str:
        parse_policy(policy)
        return policy

    def definition(self) -> ChaincodeDefinition:
        return ChaincodeDefinition(
            self.name, self.version, self.sequence, parse_policy(self.policy)
        )


class BatchConfiguration(_Model):
    """When the ordering service cuts a block."""

    timeout_ms: int = Field(default=200, ge=1)
    messages: int = Field(default=500, ge=1)
    preferred_bytes: int = Field(default=2 * 1024 * 1024, ge=1)
    absolute_bytes: int = Field(default=10 * 1024 * 1024, ge=1)


class NetworkConfiguration(_Model):
    """The whole network."""

    channel: str = Field(default="isthmus", pattern=r"^[a-z][a-z0-9.-]*$", max_length=249)
    organisations: tuple[OrganisationConfiguration, ...] = Field(min_length=1, max_length=8)
    chaincodes: tuple[ChaincodeConfiguration, ...] = ()
    batch: BatchConfiguration = BatchConfiguration()

    @property
    def msp_ids(self) -> tuple[str, ...]:
        return tuple(organisation.msp_id for organisation in self.organisations)

    def write(self, folder: Path) -> None:
        """The whole file or none of it."""
        new = folder / f"{FILE}.new"
        new.write_text(self.model_dump_json(indent=1) + "\n")
        new.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> NetworkConfiguration:
        """Raises ConfigurationInvalid."""
        path = folder / FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigurationInvalid(
                f"{path} cannot be read ({error.strerror}); prepare the network first"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ConfigurationInvalid(f"{path}: {key or 'the file'}: {first['msg']}") from error
