/**
 * A kind of question: everything that the pages know about it. The table is in table.js.
 *
 * `ask` is what the host has written besides the question (choices, the ends of a scale), `choice` is one
 * person's answer, `totals` is all answers together. All three are JSON and come from members, so each has
 * a reader that returns null for what does not fit.
 */

/** @typedef {import("../../shared/i18n.js").I18n} I18n */
/** @typedef {import("../drafts.js").Draft} Draft */

/** All answers so far. `answers`: how many people have answered. @typedef {{totals: any, answers: number}} Tally */

/**
 * The host's part of a form, besides the question. `read`: what is written, which may be incomplete (the browser
 * checks that before the form is submitted). `right`: the options that are right.
 * @typedef {{root: HTMLElement, read: () => {ask: any, right: number[]}, show: (ask: any, right: number[]) => void}} AskForm
 */

/** The participant's part: `update` shows the choice that has been sent, null if none has. @typedef {{root: HTMLElement, update: (choice: any) => void}} Ballot */

/**
 * What all see. `update`: without a tally the question's choices are shown, but no answer; `mine` is the choice of
 * who looks, `right` are the right options.
 * @typedef {{root: HTMLElement, update: (tally: Tally | null, marks?: {mine?: any, right?: readonly number[]}) => void}} Chart
 */

/**
 * @typedef {object} Kind
 * @property {boolean} isOneTap whether a tap sends the answer
 * @property {boolean} isOpen whether people write what they like: such answers begin hidden, and a host can remove one
 * @property {boolean} hasRight whether some options can be right
 * @property {any} empty the `ask` of an empty form
 * @property {(body: any) => any} readAsk
 * @property {(body: any, ask: any) => any} readChoice
 * @property {(totals: any, ask: any) => any} readTotals
 * @property {(choices: readonly any[], ask: any) => any} count the totals of these choices, in the order of their seq
 * @property {(choice: any, ask: any) => string} inWords
 * @property {(choice: any, right: readonly number[]) => boolean} isRight
 * @property {(i18n: I18n, changed: () => void) => AskForm} form
 * @property {(i18n: I18n, ask: any, parts: {send: (choice: any) => void, draft: Draft}) => Ballot} ballot
 * @property {(i18n: I18n, ask: any) => Chart} chart
 */

export {};
