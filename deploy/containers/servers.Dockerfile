# Redis and PostgreSQL from Debian packages, for machines that reach no image registry. scripts/containers.sh builds it and
# gives it to docker-compose.yml in the place of the official images; it takes the same settings from the same places.
ARG SERVERS_IMAGE=omega-servers:bookworm

FROM ${SERVERS_IMAGE} AS redis
RUN mkdir -p /data && chown 999:999 /data
USER 999:999
CMD ["redis-server"]

FROM ${SERVERS_IMAGE} AS postgres
RUN usermod --uid 999 postgres && groupmod --gid 999 postgres \
 && ln -s /usr/lib/postgresql/15/bin/* /usr/local/bin/ \
 && mkdir -p /var/lib/postgresql/data /var/run/postgresql \
 && chown -R 999:999 /var/lib/postgresql /var/run/postgresql \
 && chmod 3777 /var/run/postgresql
COPY deploy/containers/postgres.sh /usr/local/bin/postgres.sh
USER 999:999
ENTRYPOINT ["sh", "/usr/local/bin/postgres.sh"]
