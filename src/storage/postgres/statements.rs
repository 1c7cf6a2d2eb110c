//! Every statement, in the order of the SQLite side, prepared once on each connection.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

/// A statement with the types of its parameters.
pub(crate) struct Sql {
    pub(crate) types: &'static [Type],
    pub(crate) text: &'static str,
}

/// A statement on a connection.
pub(super) struct Prepared {
    pub(super) sql: &'static Sql,
    /// `None` where the connection goes without named statements.
    pub(super) statement: Option<Statement>,
}

/// The same insert may come twice when a connection dies under it: the id recognises it.
static CREATE_USER: Sql = Sql {
    types: &[Type::UUID, Type::TEXT, Type::TEXT],
    text: "
    insert into users (id, email, hashed_password)
    values ($1, $2, $3)
    on conflict (id) do update
    set email = excluded.email
    returning id, email, is_active, is_admin, created_at, flow_epoch",
};

static USERS_BY_IDS: Sql = Sql {
    types: &[Type::UUID_ARRAY],
    text: "
    select id, email, is_active, is_admin, created_at, flow_epoch
    from users
    where id = any($1)",
};

static USER_BY_EMAIL: Sql = Sql {
    types: &[Type::TEXT],
    text: "
    select id, email, is_active, is_admin, created_at, flow_epoch, hashed_password, totp_enabled
    from users
    where email = $1",
};

/// Of several at once that write the same, the first one changes the row.
static PUT_ADMIN: Sql = Sql {
    types: &[Type::BOOL, Type::TEXT],
    text: "
    update users
    set is_admin = $1, updated_at = now()
    from (select id, is_admin from users where email = $2 for update) as before
    where users.id = before.id
    returning before.is_admin is distinct from $1",
};

static ADMINS: Sql = Sql {
    types: &[],
    text: "
    select email
    from users
    where is_admin
    order by email collate \"C\"",
};

static CONNECTION: Sql = Sql {
    types: &[Type::UUID],
    text: "
    select provider_username, provider_user_id, updated_at
    from oauth_tokens
    where user_id = $1 and provider = 'discogs'",
};

/// Locks the user's row, so it waits for a concurrent revoke and sees its epoch.
static PUT_CONNECTION: Sql = Sql {
    types: &[Type::UUID, Type::UUID, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT],
    text: "
    insert into oauth_tokens (
        id, user_id, provider, access_token, access_secret,
        provider_username, provider_user_id
    )
    select $1::uuid, id, 'discogs', $4::text, $5::text, $6::text, $7::text
    from users
    where id = $2 and is_active and coalesce(flow_epoch, 0) = $3
    for share
    on conflict (user_id, provider) do update
    set access_token = excluded.access_token,
        access_secret = excluded.access_secret,
        provider_username = excluded.provider_username,
        provider_user_id = excluded.provider_user_id,
        updated_at = excluded.updated_at
    returning user_id",
};

static END_FLOWS: Sql = Sql {
    types: &[Type::UUID],
    text: "
    update users
    set flow_epoch = coalesce(flow_epoch, 0) + 1
    where id = $1",
};

static DELETE_CONNECTION: Sql = Sql {
    types: &[Type::UUID],
    text: "
    delete from oauth_tokens
    where user_id = $1 and provider = 'discogs'",
};

pub(crate) static CONFIG: Sql = Sql {
    types: &[],
    text: "
    select key, value, updated_at
    from app_config
    where value <> ''
    order by key",
};

static PUT_CONFIG: Sql = Sql {
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    text: "
    insert into app_config (key, value)
    select * from unnest($1::text[], $2::text[])
    on conflict (key) do update
    set value = excluded.value, updated_at = excluded.updated_at
    returning updated_at",
};

static DELETE_CONFIG: Sql = Sql {
    types: &[Type::TEXT_ARRAY],
    text: "
    delete from app_config
    where key = any($1)
    returning key",
};

static KNOWN_ADDRESS: Sql = Sql {
    types: &[Type::BYTEA, Type::BYTEA],
    text: "
    select seen_at
    from known_addresses
    where account = $1 and address = $2",
};

/// Forgets the oldest few rows of all accounts each time, and all but the newest of this one. Rows that
/// another statement is writing are skipped: two sign-ins that waited for each other's row would
/// deadlock.
static PUT_KNOWN_ADDRESS: Sql = Sql {
    types: &[Type::BYTEA, Type::BYTEA, Type::FLOAT8, Type::INT8],
    text: "
    with forgotten as (
        delete from known_addresses
        where ctid = any (array(
            select ctid
            from known_addresses
            where seen_at < now() - make_interval(secs => $3) and (account, address) <> ($1, $2)
            order by seen_at
            limit 10
            for update skip locked
        ) || array(
            select ctid
            from known_addresses
            where account = $1 and address <> $2
            order by seen_at desc
            offset $4
            for update skip locked
        ))
    )
    insert into known_addresses (account, address)
    values ($1, $2)
    on conflict (account, address) do update
    set seen_at = excluded.seen_at",
};

pub(crate) static PING: Sql = Sql { types: &[], text: "select 1" };

/// The statements of one connection.
pub(crate) struct Statements {
    pub(super) create_user: Prepared,
    pub(super) users_by_ids: Prepared,
    pub(super) user_by_email: Prepared,
    pub(super) put_admin: Prepared,
    pub(super) admins: Prepared,
    pub(super) connection: Prepared,
    pub(super) put_connection: Prepared,
    pub(super) end_flows: Prepared,
    pub(super) delete_connection: Prepared,
    pub(super) config: Prepared,
    pub(super) put_config: Prepared,
    pub(super) delete_config: Prepared,
    pub(super) known_address: Prepared,
    pub(super) put_known_address: Prepared,
    pub(super) ping: Prepared,
}

impl Statements {
    /// Prepares them all: one round trip each, all under way at once. With no client they are
    /// parsed anew each time.
    pub(crate) async fn prepare(client: Option<&Client>) -> Result<Self, Error> {
        let prepare = |sql| Box::pin(prepare(client, sql));
        let (users, connections, config, addresses, ping) = tokio::try_join!(
            async {
                tokio::try_join!(
                    prepare(&CREATE_USER),
                    prepare(&USERS_BY_IDS),
                    prepare(&USER_BY_EMAIL),
                    prepare(&PUT_ADMIN),
                    prepare(&ADMINS),
                )
            },
            async {
                tokio::try_join!(
                    prepare(&CONNECTION),
                    prepare(&PUT_CONNECTION),
                    prepare(&END_FLOWS),
                    prepare(&DELETE_CONNECTION),
                )
            },
            async {
                tokio::try_join!(prepare(&CONFIG), prepare(&PUT_CONFIG), prepare(&DELETE_CONFIG),)
            },
            async { tokio::try_join!(prepare(&KNOWN_ADDRESS), prepare(&PUT_KNOWN_ADDRESS)) },
            prepare(&PING),
        )?;
        let (create_user, users_by_ids, user_by_email, put_admin, admins) = users;
        let (connection, put_connection, end_flows, delete_connection) = connections;
        let (config, put_config, delete_config) = config;
        let (known_address, put_known_address) = addresses;
        Ok(Self {
            create_user,
            users_by_ids,
            user_by_email,
            put_admin,
            admins,
            connection,
            put_connection,
            end_flows,
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

async fn prepare(client: Option<&Client>, sql: &'static Sql) -> Result<Prepared, Error> {
    let statement = match client {
        Some(client) => Some(client.prepare(sql.text).await?),
        None => None,
    };
    Ok(Prepared { sql, statement })
}
