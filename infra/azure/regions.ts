/**
 * Regions of Azure's public cloud, as `az account list-locations` names them. Asking Azure would need credentials and a
 * network in every preview; a region that is newer than this list is added here.
 */
export const regions = [
  ...["australiacentral", "australiacentral2", "australiaeast"],
  ...["australiasoutheast", "austriaeast", "belgiumcentral", "brazilsouth"],
  ...["brazilsoutheast", "canadacentral", "canadaeast", "centralindia"],
  ...["centralus", "chilecentral", "eastasia", "eastus", "eastus2"],
  ...["francecentral", "francesouth", "germanynorth", "germanywestcentral"],
  ...["indonesiacentral", "israelcentral", "italynorth", "japaneast"],
  ...["japanwest", "jioindiacentral", "jioindiawest", "koreacentral"],
  ...["koreasouth", "malaysiawest", "mexicocentral", "newzealandnorth"],
  ...["northcentralus", "northeurope", "norwayeast", "norwaywest"],
  ...["polandcentral", "qatarcentral", "southafricanorth"],
  ...["southafricawest", "southcentralus", "southeastasia", "southindia"],
  ...["spaincentral", "swedencentral", "swedensouth", "switzerlandnorth"],
  ...["switzerlandwest", "uaecentral", "uaenorth", "uksouth", "ukwest"],
  ...["westcentralus", "westeurope", "westindia", "westus", "westus2"],
  "westus3",
] as const;
