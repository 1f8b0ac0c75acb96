"""The life of a service: BaseService, its supervisor and health port, and `run` for composition roots."""

from omega.runtime.health import Check, HealthServer
from omega.runtime.http import HttpAnswer, HttpHandler, HttpRequest, HttpServer
from omega.runtime.life import Life, State
from omega.runtime.process import freeze
from omega.runtime.run import connect_bus, exit_code, instance_of, run
from omega.runtime.service import BaseService, OMEGAService
from omega.runtime.supervisor import Reaction, Supervisor, reaction_to

__all__ = [
    "BaseService",
    "Check",
    "HealthServer",
    "HttpAnswer",
    "HttpHandler",
    "HttpRequest",
    "HttpServer",
    "Life",
    "OMEGAService",
    "Reaction",
    "State",
    "Supervisor",
    "connect_bus",
    "exit_code",
    "freeze",
    "instance_of",
    "reaction_to",
    "run",
]
