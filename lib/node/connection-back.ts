/**
 * A worker's message with a connection that it gives back to the master. Node passes messages whose `cmd` starts with
 * `NODE_` on as internal ones, beside those of node:cluster, so no application sees it.
 */
export const CONNECTION_BACK = 'NODE_HATCHERY_CONNECTION_BACK';
