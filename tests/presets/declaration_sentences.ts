/** Sentences of the Declaration in eight languages, and the token that belongs into each: what the shipped preset completes. */

/** Each with its token. */
export const SENTENCES: readonly (readonly [sentence: string, token: string])[] = [
  ["All human beings are born free and <mask> in dignity and rights.", "▁equal"],
  ["Everyone has the <mask> to work.", "▁right"],
  ["Jeder hat das <mask> auf Arbeit.", "▁Recht"],
  ["Toute personne a <mask> à l'éducation.", "▁droit"],
  ["Toda persona tiene <mask> a la educación.", "▁derecho"],
  ["Каждый человек имеет <mask> на жизнь, на свободу и на личную неприкосновенность.", "▁право"],
  ["Ogni individuo ha <mask> alla vita, alla libertà ed alla sicurezza della propria persona.", "▁diritto"],
  ["Een ieder heeft <mask> op onderwijs.", "▁recht"],
  ["Var och en har <mask> till utbildning.", "▁rätt"],
];
