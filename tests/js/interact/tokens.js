const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWT with these claims; its signature says nothing. */
export const token = (claims) => `${part({ alg: "HS256" })}.${part({ sub: "김", ...claims })}.x`;
