"""Discord's JSON for users, members, guild, application and session.

The least fields that clients need and a few more.
"""

from typing import Any

from omega.testing.discord.world import Member, World

Json = dict[str, Any]


def user(member: Member) -> Json:
    """Return a user object."""
    return {
        "id": member.id,
        "username": member.name,
        "global_name": member.name,
        "discriminator": "0",
        "avatar": None,
        "bot": member.bot,
    }


def bot_member(world: World) -> Member:
    """Return the application's own member; its user id is the application id, as on Discord."""
    return Member(world.application_id, world.application_name, (), bot=True)


def member(world: World, who: Member) -> Json:
    """Return the guild member object that interactions carry."""
    return {
        "user": user(who),
        "roles": list(who.roles),
        "flags": 0,
        "permissions": str(world.permissions(who)),
        "joined_at": "2026-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "nick": None,
        "avatar": None,
        "pending": False,
    }


def application(world: World) -> Json:
    """Return the answer of GET /oauth2/applications/@me."""
    return {
        "id": world.application_id,
        "name": world.application_name,
        "description": "",
        "icon": None,
        "bot_public": False,
        "bot_require_code_grant": False,
        "owner": user(Member("300000000000000000", "owner")),
        "verify_key": "0" * 64,
        "interactions_endpoint_url": None,
        "flags": 0,
    }


def channel(world: World, channel_id: str) -> Json:
    """Return a channel object; raises KeyError for a stranger's id."""
    found = world.channel(channel_id)
    return {
        "id": found.id,
        "type": found.kind,
        "name": found.name,
        "position": list(world.channels).index(found.name),
        "guild_id": world.guild_id,
        "permission_overwrites": [],
    }


def guild_create(world: World, *, with_members: bool) -> Json:
    """Return GUILD_CREATE; without the members intent only the bot itself is listed."""
    everyone = {"id": world.guild_id, "name": "@everyone", "permissions": "0", "position": 0}
    roles = [
        {"id": role.id, "name": role.name, "permissions": str(role.permissions), "position": n}
        for n, role in enumerate(world.roles.values(), 1)
    ]
    people = [bot_member(world), *(world.members.values() if with_members else ())]
    return {
        "id": world.guild_id,
        "name": world.guild_name,
        "owner_id": "300000000000000000",
        "unavailable": False,
        "roles": [everyone, *roles],
        "channels": [channel(world, known.id) for known in world.channels.values()],
        "members": [member(world, who) for who in people],
        "member_count": len(world.members) + 1,
        "emojis": [],
        "features": [],
        "threads": [],
        "voice_states": [],
        "presences": [],
    }


def ready(world: World, session_id: str, resume_url: str) -> Json:
    """Return READY: the guilds are announced as unavailable and follow one by one."""
    return {
        "v": 10,
        "session_id": session_id,
        "resume_gateway_url": resume_url,
        "user": user(bot_member(world)),
        "guilds": [{"id": world.guild_id, "unavailable": True}],
        "application": {"id": world.application_id, "flags": 0},
    }
