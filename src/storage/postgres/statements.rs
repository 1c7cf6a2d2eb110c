//! Every statement, in the order of the SQLite side, prepared once on each connection.

use tokio_postgres::{Client, Error, Statement};

/// The same insert may come twice when a connection dies under it: the id recognises it.
const CREATE_USER: &str = "
    insert into users (id, email, hashed_password)
    values ($1, $2, $3)
    on conflict (id) do update
    set email = excluded.email
    returning id, email, hashed_password, is_active, is_admin, created_at";

const USER_BY_ID: &str = "
    select id, email, hashed_password, is_active, is_admin, created_at
    from users
    where id = $1";

const USER_BY_EMAIL: &str = "
    select id, email, hashed_password, is_active, is_admin, created_at
    from users
    where email = $1";

const PUT_ADMIN: &str = "
    update users
    set is_admin = $1, updated_at = now()
    where email = $2
    returning id";

const ADMINS: &str = "
    select email
    from users
    where is_admin
    order by email collate \"C\"";

const CONNECTION: &str = "
    select provider_username, provider_user_id, updated_at
    from oauth_tokens
    where user_id = $1 and provider = $2";

const PUT_CONNECTION: &str = "
    insert into oauth_tokens (
        id, user_id, provider, access_token, access_secret,
        provider_username, provider_user_id
    )
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (user_id, provider) do update
    set access_token = excluded.access_token,
        access_secret = excluded.access_secret,
        provider_username = excluded.provider_username,
        provider_user_id = excluded.provider_user_id,
        updated_at = excluded.updated_at";

const DELETE_CONNECTION: &str = "
    delete from oauth_tokens
    where user_id = $1 and provider = $2";

const CONFIG: &str = "
    select key, value, updated_at
    from app_config
    where value <> ''
    order by key";

const PUT_CONFIG: &str = "
    insert into app_config (key, value)
    select * from unnest($1::text[], $2::text[])
    on conflict (key) do update
    set value = excluded.value, updated_at = excluded.updated_at
    returning updated_at";

const DELETE_CONFIG: &str = "
    delete from app_config
    where key = any($1)";

const KNOWN_ADDRESS: &str = "
    select seen_at
    from known_addresses
    where account = $1 and address = $2";

/// A few old ones each time, so that they are all gone in the end.
const PUT_KNOWN_ADDRESS: &str = "
    with forgotten as (
        delete from known_addresses
        where ctid in (
            select ctid
            from known_addresses
            where seen_at < now() - make_interval(secs => $3) and (account, address) <> ($1, $2)
            limit 10
        )
    )
    insert into known_addresses (account, address)
    values ($1, $2)
    on conflict (account, address) do update
    set seen_at = excluded.seen_at";

/// The statements of one connection.
pub(super) struct Statements {
    pub(super) create_user: Statement,
    pub(super) user_by_id: Statement,
    pub(super) user_by_email: Statement,
    pub(super) put_admin: Statement,
    pub(super) admins: Statement,
    pub(super) connection: Statement,
    pub(super) put_connection: Statement,
    pub(super) delete_connection: Statement,
    pub(super) config: Statement,
    pub(super) put_config: Statement,
    pub(super) delete_config: Statement,
    pub(super) known_address: Statement,
    pub(super) put_known_address: Statement,
    pub(super) ping: Statement,
}

impl Statements {
    /// Prepares them all: one round trip each, all under way at once.
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (users, connections, config, addresses, ping) = tokio::try_join!(
            async {
                tokio::try_join!(
                    client.prepare(CREATE_USER),
                    client.prepare(USER_BY_ID),
                    client.prepare(USER_BY_EMAIL),
                    client.prepare(PUT_ADMIN),
                    client.prepare(ADMINS),
                )
            },
            async {
                tokio::try_join!(
                    client.prepare(CONNECTION),
                    client.prepare(PUT_CONNECTION),
                    client.prepare(DELETE_CONNECTION),
                )
            },
            async {
                tokio::try_join!(
                    client.prepare(CONFIG),
                    client.prepare(PUT_CONFIG),
                    client.prepare(DELETE_CONFIG),
                )
            },
            async {
                tokio::try_join!(client.prepare(KNOWN_ADDRESS), client.prepare(PUT_KNOWN_ADDRESS))
            },
            client.prepare("select 1"),
        )?;
        let (create_user, user_by_id, user_by_email, put_admin, admins) = users;
        let (connection, put_connection, delete_connection) = connections;
        let (config, put_config, delete_config) = config;
        let (known_address, put_known_address) = addresses;
        Ok(Self {
            create_user,
            user_by_id,
            user_by_email,
            put_admin,
            admins,
            connection,
            put_connection,
            delete_connection,
            config,
            put_config,
            delete_config,
            known_address,
            put_known_address,
            ping,
        })
    }
}
